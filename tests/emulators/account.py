"""AWS's own client, for a program that speaks lines of JSON: a call in, its answer or its refusal out.

The scenarios of `tests/scenarios` set their stage with it at any endpoint: an emulator of others, or an account. Endpoint,
region and credentials come from the standard AWS environment.

    {"api": "ecs", "operation": "CreateCluster", "input": {…}}   in
    {"answer": {…}} or {"refused": "CODE", "message": "…"}       out
"""

import base64
import json
import sys
from datetime import datetime

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def plain(value):
    """Times as seconds since 1970 and bytes as text, as AWS's JSON has them."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is no JSON")


def sent(value, shape):
    """Bytes where the operation takes them; everything else as it came."""
    if shape.type_name == "blob":
        return base64.b64decode(value)
    if shape.type_name == "structure":
        members = shape.members
        return {key: sent(member, members[key]) if key in members else member for key, member in value.items()}
    return value


def answer(clients, api, operation, given):
    if api not in clients:
        # A refusal is an answer: nothing is tried twice behind the back of a scenario.
        clients[api] = boto3.client(api, config=Config(retries={"total_max_attempts": 1}))
    client = clients[api]
    shape = client.meta.service_model.operation_model(operation).input_shape
    try:
        found = getattr(client, xform_name(operation))(**(sent(given, shape) if shape else {}))
    except ClientError as error:
        told = error.response["Error"]
        return {"refused": told["Code"], "message": told.get("Message", "")}
    except BotoCoreError as error:
        return {"refused": type(error).__name__, "message": str(error)}
    found.pop("ResponseMetadata", None)
    return {"answer": found}


def main():
    clients = {}
    for line in sys.stdin:
        call = json.loads(line)
        print(json.dumps(answer(clients, call["api"], call["operation"], call["input"]), default=plain), flush=True)


if __name__ == "__main__":
    main()
