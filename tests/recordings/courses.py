"""The six courses of a deployment that AWS does not publish, as data, and how one is played and sampled.

A course is one UpdateService, and at most one thing that somebody does in the middle of it. Nothing is asserted here: what AWS does is the finding.
"""

from dataclasses import dataclass

from account import Refused
from botocore import xform_name
from botocore.exceptions import ClientError

# How many samples a moment is watched before somebody does something in it.
WATCHED = 3
# Seconds after which a course is given up. With a drain of five minutes one takes ten minutes.
PATIENCE = 2400
# When one token is used, in seconds after its first use, and what is asked for. AWS: a token is good for an hour after its task has ended.
TOKEN_AT = ((0, "the same"), (60, "something else"), (1800, "the same"), (4200, "the same"))


def configuration(strategy, pause=None):
    told = {"strategy": strategy, "bakeTimeInMinutes": 1, "lifecycleHooks": []}
    if strategy == "CANARY":
        told["canaryConfiguration"] = {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 2}
    if pause:
        told["lifecycleHooks"] = [{"targetType": "PAUSE", "lifecycleStages": [pause], "timeoutConfiguration": {"timeoutInMinutes": 60, "action": "ROLLBACK"}}]
    return told


def is_paused(deployment):
    return any(hook.get("status") == "AWAITING_ACTION" for hook in deployment.get("lifecycleHookDetails", []))


def is_canary(deployment):
    share = deployment.get("targetServiceRevision", {}).get("requestedProductionTrafficWeight")
    return deployment.get("lifecycleStage") == "PRODUCTION_TRAFFIC_SHIFT" and share is not None and 0 < share < 100


def is_baking(deployment):
    return deployment.get("lifecycleStage") == "BAKE_TIME"


def answer(action):
    def act(play, deployment):
        hook = next(hook["hookId"] for hook in deployment["lifecycleHookDetails"] if hook["status"] == "AWAITING_ACTION")
        play.call("ContinueServiceDeployment", serviceDeploymentArn=deployment["serviceDeploymentArn"], hookId=hook, action=action)

    return act


def update(play, _):
    play.call("UpdateService", **play.named, taskDefinition=play.account.register())


def stop(play, deployment):
    play.call("StopServiceDeployment", serviceDeploymentArn=deployment["serviceDeploymentArn"], stopType="ROLLBACK")


@dataclass(frozen=True)
class Course:
    name: str
    told: str
    configuration: dict
    # The moment in which somebody does something, told of the newest deployment; and what.
    moment: object = None
    act: object = None


COURSES = (
    Course("blue-green-pause", "blue/green, with a pause that is approved", configuration("BLUE_GREEN", "POST_TEST_TRAFFIC_SHIFT"), is_paused, answer("CONTINUE")),
    Course("canary", "a canary of 10 %", configuration("CANARY")),
    Course("reject", "blue/green, with a pause that is rejected", configuration("BLUE_GREEN", "POST_TEST_TRAFFIC_SHIFT"), is_paused, answer("ROLLBACK")),
    Course("update-in-canary", "a newer UpdateService while a canary bakes", configuration("CANARY"), is_canary, update),
    Course("stop-in-bake", "StopServiceDeployment in BAKE_TIME", configuration("BLUE_GREEN"), is_baking, stop),
)
TOKEN = ("one-token", "RunTask with one token: at once, for something else, after 30 minutes, after 70 minutes")


class Play:
    """One course at one account: its samples, raw, and the calls that were made in it."""

    def __init__(self, account, pace, course):
        self.account, self.pace, self.course = account, pace, course
        self.named = {"cluster": account.name, "service": account.name}
        self.begun = pace.now()
        self.samples, self.calls = [], []
        self.rules = account.rules()
        self.before = {one["serviceDeploymentArn"] for one in self.listed()}

    def listed(self):
        return self.account.ecs.list_service_deployments(**self.named)["serviceDeployments"]

    def call(self, operation, **asked):
        answered = called(self.account.ecs, operation, asked)
        self.calls.append({"at": self.pace.now() - self.begun, "operation": operation, "asked": asked, "answered": answered})
        return answered

    def sample(self):
        """What AWS says now; the deployments of this course alone, the oldest first."""
        new = [one["serviceDeploymentArn"] for one in self.listed() if one["serviceDeploymentArn"] not in self.before]
        described = self.account.ecs.describe_service_deployments(serviceDeploymentArns=new)["serviceDeployments"] if new else []
        service = dict(self.account.service())
        events = service.pop("events", [])
        rules = {port: self.account.elb.describe_rules(RuleArns=[arn])["Rules"][0]["Actions"] for port, arn in sorted(self.rules.items())}
        told = {
            "at": self.pace.now() - self.begun,
            "deployments": sorted(described, key=lambda one: (one["createdAt"], one["serviceDeploymentArn"])),
            "service": service,
            "newestEvent": events[0]["message"] if events else None,
            "rules": rules,
        }
        self.samples.append(told)
        return told

    def to_the_end(self, between=lambda: None):
        """Samples until nothing goes on any more. `between` is asked at each of them."""
        definition = self.account.register()
        self.sample()
        begun = self.call("UpdateService", **self.named, taskDefinition=definition, deploymentConfiguration=self.course.configuration)
        if "refused" in begun:
            raise Refused(f"{self.course.name} could not begin: {begun['Error']['Message']}")
        watched, acted = 0, self.course.moment is None
        while self.pace.now() - self.begun < PATIENCE:
            self.pace.wait(self.pace.interval)
            between()
            newest = (self.sample()["deployments"] or [{}])[-1]
            if not acted and self.course.moment(newest):
                watched += 1
                if watched == WATCHED:
                    self.course.act(self, newest)
                    acted = True
            if acted and newest.get("finishedAt") and self.account.is_at_rest():
                self.sample()
                return self
        raise TimeoutError(f"{self.course.name} was not over after {PATIENCE} seconds")


class Token:
    """A task that is asked for with one token, again and again, beside the other courses."""

    def __init__(self, account, pace):
        self.account, self.pace = account, pace
        self.begun, self.calls = pace.now(), []
        definition = account.register(command=["true"])
        self.asked = {
            "cluster": account.name, "taskDefinition": definition, "clientToken": account.name, "startedBy": account.name, "count": 1,
            "tags": account.small_tags, **account.placed(),
        }  # fmt: skip

    def due(self):
        """Seconds until its next call; None after the last one."""
        if len(self.calls) == len(TOKEN_AT):
            return None
        return max(0, self.begun + TOKEN_AT[len(self.calls)][0] - self.pace.now())

    def look(self):
        if self.due() == 0:
            what = TOKEN_AT[len(self.calls)][1]
            asked = self.asked if what == "the same" else {**self.asked, "startedBy": "other"}
            answered = called(self.account.ecs, "RunTask", asked)
            self.calls.append({"at": self.pace.now() - self.begun, "operation": "RunTask", "what": what, "answered": answered})


def called(client, operation, asked):
    """The answer, or the refusal with all its members."""
    try:
        answered = getattr(client, xform_name(operation))(**asked)
    except ClientError as error:
        answered = {**error.response, "refused": error.response["Error"]["Code"]}
    answered.pop("ResponseMetadata", None)
    return answered
