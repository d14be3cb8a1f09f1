"""The cold look of `trueup status` with boto3: what every service of the fleet runs, and whether that is the image of the commit
that is declared. Eight threads, every batch that AWS offers, and boto3's own retries.

    python cold_look.py SERVICES

Prints how many services run what is declared.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

THREADS, COMMIT, OF_ONE_CLUSTER = 8, "aaaaaaa", 1000
CONFIG = Config(retries={"mode": "adaptive", "max_attempts": 20}, max_pool_connections=THREADS)


def batches(items, size):
    return [items[start : start + size] for start in range(0, len(items), size)]


def main():
    names = [f"app-{number:05}" for number in range(int(sys.argv[1]))]
    ecs, ecr = boto3.client("ecs", config=CONFIG), boto3.client("ecr", config=CONFIG)

    def described(batch):
        cluster, services = batch
        return ecs.describe_services(cluster=cluster, services=services)["services"]

    def definition(service):
        answer = ecs.describe_task_definition(taskDefinition=service["taskDefinition"], include=["TAGS"])
        return answer["taskDefinition"]

    def tasks(cluster):
        pages = ecs.get_paginator("list_tasks").paginate(cluster=cluster)
        arns = [arn for page in pages for arn in page["taskArns"]]
        return [task for batch in batches(arns, 100) for task in ecs.describe_tasks(cluster=cluster, tasks=batch)["tasks"]]

    def digest(name):
        found = ecr.batch_get_image(repositoryName=f"fleet/{name}", imageIds=[{"imageTag": COMMIT}])
        return found["images"][0]["imageId"]["imageDigest"]

    with ThreadPoolExecutor(THREADS) as pool:
        clusters = [(f"fleet-{number:02}", some) for number, some in enumerate(batches(names, OF_ONE_CLUSTER))]
        parts = [(cluster, batch) for cluster, some in clusters for batch in batches(some, 10)]
        services = [service for some in pool.map(described, parts) for service in some]
        definitions = list(pool.map(definition, services))
        running = {task["group"]: task for some in pool.map(tasks, [cluster for cluster, _ in clusters]) for task in some}
        digests = dict(zip(names, pool.map(digest, names)))
    good = 0
    for service, one in zip(services, definitions):
        name = service["serviceName"]
        container = running[f"service:{name}"]["containers"][0]
        good += container["imageDigest"] == digests[name] and f"fleet/{name}" in one["containerDefinitions"][0]["image"]
    print(good)


if __name__ == "__main__":
    main()
