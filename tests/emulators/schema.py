"""The JSON Schema that trueup prints, by a validator that nobody here wrote, on the examples and on broken copies.

    python schema.py PATH/TO/trueup
"""

import copy
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"


def documents():
    for path in sorted(EXAMPLES.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if isinstance(document, dict) and document.get("apiVersion") == "trueup.dev/v1":
                yield path.relative_to(EXAMPLES), document


def breakages(document):
    """The document with one thing wrong, once for each."""
    spec = document["spec"]
    for key in spec:
        broken = copy.deepcopy(document)
        broken["spec"][key + "x"] = broken["spec"].pop(key)
        yield f"{key}x", broken
    for change in ({"kind": "Applicaton"}, {"metadata": {}}, {"apiVersion": "v1"}):
        yield str(change), {**document, **change}
    if "strategy" in spec:
        yield "strategy", {**document, "spec": {**spec, "strategy": {"codeDeploy": {"appspec": "x"}}}}
    if "images" in spec:
        image = {**spec["images"][0], "name": "two words"}
        yield "image", {**document, "spec": {**spec, "images": [image]}}
    if "containers" in spec:
        yield "containers", {**document, "spec": {**spec, "containers": []}}
    if document["kind"] == "Environment":
        yield "drift", {**document, "spec": {**spec, "policy": {"drift": "mend"}}}


def main():
    printed = subprocess.run([sys.argv[1], "schema"], capture_output=True, text=True, check=True).stdout
    schema = json.loads(printed)
    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema)
    validator = validator(schema)
    good = bad = 0
    for path, document in documents():
        validator.validate(document)
        good += 1
        for what, broken in breakages(document):
            assert not validator.is_valid(broken), f"{path}: {what} is taken for good"
            bad += 1
    assert good >= 8 and bad >= 50, (good, bad)
    print(f"schema: {good} documents good, {bad} broken ones refused")


if __name__ == "__main__":
    main()
