"""What a recording needs in an account: everything has the name and the tag of the recording, and goes again at its end.

Nothing that is there already is used, changed or removed: a name that is taken is refused before the first write. What is removed is found by its
name, so that a call whose answer was lost leaves nothing behind either.
"""

import json

from botocore.exceptions import BotoCoreError, ClientError

TAG = "trueup-recording"
# Any image that listens on port 80. It is pulled from a public registry, so no role for pulling is needed.
IMAGE = "public.ecr.aws/nginx/nginx:stable"
CONTAINER = "web"
# What ECS needs in order to write listener rules (developer guide, "Infrastructure role for load balancers").
POLICY = "arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
# Seconds until a new role can be assumed everywhere; chosen, AWS says "eventually".
PROPAGATION = 20
# Seconds after which something that was to come about did not. A target group is in use until its listener is gone, a security group until the
# last task and the load balancer are.
PATIENCE = 1200
# What says that something is not there.
MISSING = {
    "ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException", "LoadBalancerNotFound", "TargetGroupNotFound",
    "ListenerNotFound", "NoSuchEntity", "InvalidGroup.NotFound",
}  # fmt: skip


class Refused(Exception):
    """A person has to do something else first."""


class Account:
    """Makes, finds and removes. `clients(name)` is a client of boto3; `pace` waits, in real or in simulated seconds."""

    def __init__(self, clients, pace, name, network=None, subnets=(), security_group=None, role=None):
        self.ecs, self.elb = clients("ecs"), clients("elbv2")
        self.clients, self.pace, self.name = clients, pace, name
        self.network, self.subnets, self.security_group, self.role = network, list(subnets), security_group, role
        self.tags = [{"Key": TAG, "Value": name}]
        self.small_tags = [{"key": TAG, "value": name}]
        self.made = []
        self.revisions = 0

    def plan(self):
        """What is made, in order: how it is called, how it is looked for, made, and removed."""
        name = self.name
        yield f"cluster {name}", self.cluster, self.make_cluster, self.remove_cluster
        if not self.security_group:
            yield f"security group {name}", self.group_by_name, self.make_security_group, self.remove_security_group
        if not self.role:
            yield f"role {name}", self.role_by_name, self.make_role, self.remove_role
        for colour in ("blue", "green"):
            named = f"{name}-{colour}"
            yield (
                f"target group {named}",
                lambda named=named: self.target_group(named),
                lambda named=named: self.make_target_group(named),
                lambda named=named: self.remove_target_group(named),
            )
        yield f"load balancer {name}, with listeners on the ports 80 and 8080", self.balancer, self.make_balancer, self.remove_balancer
        yield f"task definitions of the family {name}", self.definitions, lambda: self.register(), self.remove_definitions
        yield f"service {name} of two Fargate tasks", self.service, self.make_service, self.remove_service

    def refuse_what_is_there(self):
        taken = [what for what, look, _, _ in self.plan() if look()]
        if taken:
            raise Refused("there already: " + "; ".join(taken) + ". Choose another --name, or remove them")

    def furnish(self):
        self.find_network()
        for what, _, make, remove in self.plan():
            # Remembered before it is made: a lost answer leaves it behind, too.
            self.made.append((what, remove))
            make()
            self.pace.say(f"made: {what}")
        self.until("the first deployment is over", lambda: self.is_at_rest())

    def remove(self):
        """Everything that was made, the last first; what could not be removed."""
        left = []
        for what, remove in reversed(self.made):
            try:
                self.until(f"{what} is removed", lambda: removed(remove))
                self.pace.say(f"removed: {what}")
            except (ClientError, BotoCoreError, Refused) as error:
                left.append(f"{what}: {error}")
        return left

    def until(self, what, reached):
        begun = self.pace.now()
        while not reached():
            if self.pace.now() - begun > PATIENCE:
                raise Refused(f"after {PATIENCE} seconds not yet so: {what}")
            self.pace.wait(5)

    # The network is the default one of the region, unless another one is named.

    def find_network(self):
        if self.network:
            return
        ec2 = self.clients("ec2")
        found = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        if not found:
            raise Refused("this region has no default VPC: name a --network, its --subnets, and a --security-group")
        self.network = found[0]["VpcId"]
        subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [self.network]}])["Subnets"]
        self.subnets = [subnet["SubnetId"] for subnet in subnets][:2]

    def group_by_name(self):
        filters = [{"Name": "group-name", "Values": [self.name]}]
        found = self.clients("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
        return found[0]["GroupId"] if found else None

    def make_security_group(self):
        """Who is in it reaches the others, and nobody else does."""
        tagged = [{"ResourceType": "security-group", "Tags": self.tags}]
        named = {"GroupName": self.name, "Description": "A recording for trueup", "VpcId": self.network}
        group = self.clients("ec2").create_security_group(**named, TagSpecifications=tagged)["GroupId"]
        among = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": group}]}]
        self.clients("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=among)
        self.security_group = group

    def remove_security_group(self):
        group = self.group_by_name()
        if group:
            self.clients("ec2").delete_security_group(GroupId=group)

    def role_by_name(self):
        try:
            return self.clients("iam").get_role(RoleName=self.name)["Role"]["Arn"]
        except ClientError as error:
            return absent(error)

    def make_role(self):
        iam = self.clients("iam")
        made = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=self.tags)
        iam.attach_role_policy(RoleName=self.name, PolicyArn=POLICY)
        self.role = made["Role"]["Arn"]
        self.pace.wait(PROPAGATION)

    def remove_role(self):
        iam = self.clients("iam")
        for policy in iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=self.name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=self.name)

    # The load balancer is internal: nobody but its own health checks asks for anything.

    def balancer(self):
        return self.by_name(self.elb.describe_load_balancers, "LoadBalancers", "LoadBalancerArn", self.name)

    def target_group(self, named):
        return self.by_name(self.elb.describe_target_groups, "TargetGroups", "TargetGroupArn", named)

    def by_name(self, describe, members, arn, named):
        try:
            return describe(Names=[named])[members][0][arn]
        except ClientError as error:
            return absent(error)

    def make_target_group(self, named):
        quick = {"HealthCheckIntervalSeconds": 10, "HealthyThresholdCount": 2}
        self.elb.create_target_group(Name=named, Protocol="HTTP", Port=80, VpcId=self.network, TargetType="ip", Tags=self.tags, **quick)

    def remove_target_group(self, named):
        arn = self.target_group(named)
        if arn:
            self.elb.delete_target_group(TargetGroupArn=arn)

    def make_balancer(self):
        kind = {"Type": "application", "Scheme": "internal", "Subnets": self.subnets, "SecurityGroups": [self.security_group]}
        arn = self.elb.create_load_balancer(Name=self.name, Tags=self.tags, **kind)["LoadBalancers"][0]["LoadBalancerArn"]
        for port in (80, 8080):
            weights = [{"TargetGroupArn": self.target_group(f"{self.name}-{one}"), "Weight": weight} for one, weight in (("blue", 1), ("green", 0))]
            forward = [{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]
            self.elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=port, DefaultActions=forward, Tags=self.tags)
        described = lambda: self.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
        self.until("the load balancer is active", lambda: described()["State"]["Code"] == "active")

    def remove_balancer(self):
        arn = self.balancer()
        if arn:
            self.elb.delete_load_balancer(LoadBalancerArn=arn)

    def rules(self):
        """The ARNs of the default rules, by port."""
        listeners = self.elb.describe_listeners(LoadBalancerArn=self.balancer())["Listeners"]
        default = lambda listener: next(rule for rule in self.elb.describe_rules(ListenerArn=listener)["Rules"] if rule["IsDefault"])
        return {listener["Port"]: default(listener["ListenerArn"])["RuleArn"] for listener in listeners}

    # The cluster and the service.

    def cluster(self):
        found = self.ecs.describe_clusters(clusters=[self.name])["clusters"]
        return found if found and found[0]["status"] != "INACTIVE" else None

    def make_cluster(self):
        self.ecs.create_cluster(clusterName=self.name, tags=self.small_tags)

    def remove_cluster(self):
        self.ecs.delete_cluster(cluster=self.name)

    def definitions(self):
        return self.ecs.list_task_definitions(familyPrefix=self.name, status="ACTIVE")["taskDefinitionArns"]

    def register(self, command=None):
        """Another revision than all before it; its ARN."""
        self.revisions += 1
        container = {
            "name": CONTAINER, "image": IMAGE, "essential": True, "portMappings": [{"containerPort": 80}],
            "environment": [{"name": "REVISION", "value": str(self.revisions)}], **({"command": command} if command else {}),
        }  # fmt: skip
        fargate = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
        registered = self.ecs.register_task_definition(family=self.name, containerDefinitions=[container], tags=self.small_tags, **fargate)
        return registered["taskDefinition"]["taskDefinitionArn"]

    def remove_definitions(self):
        for arn in self.definitions():
            self.ecs.deregister_task_definition(taskDefinition=arn)
            self.ecs.delete_task_definitions(taskDefinitions=[arn])

    def placed(self):
        """What Fargate has to be told of every task."""
        network = {"subnets": self.subnets, "securityGroups": [self.security_group], "assignPublicIp": "ENABLED"}
        return {"launchType": "FARGATE", "networkConfiguration": {"awsvpcConfiguration": network}}

    def service(self):
        try:
            found = self.ecs.describe_services(cluster=self.name, services=[self.name])["services"]
        except ClientError as error:
            return absent(error)
        return found[0] if found and found[0]["status"] != "INACTIVE" else None

    def make_service(self):
        rules = self.rules()
        advanced = {
            "alternateTargetGroupArn": self.target_group(f"{self.name}-green"),
            "productionListenerRule": rules[80], "testListenerRule": rules[8080], "roleArn": self.role,
        }  # fmt: skip
        behind = {"targetGroupArn": self.target_group(f"{self.name}-blue"), "containerName": CONTAINER, "containerPort": 80}
        self.ecs.create_service(
            cluster=self.name, serviceName=self.name, taskDefinition=self.definitions()[-1], desiredCount=2, tags=self.small_tags,
            deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0},
            loadBalancers=[{**behind, "advancedConfiguration": advanced}], **self.placed(),
        )  # fmt: skip

    def is_at_rest(self):
        deployments = self.service()["deployments"]
        listed = self.ecs.list_service_deployments(cluster=self.name, service=self.name)["serviceDeployments"]
        is_over = bool(listed) and all(one.get("finishedAt") for one in listed)
        return is_over and len(deployments) == 1 and deployments[0].get("rolloutState") == "COMPLETED"

    def remove_service(self):
        """With its tasks, which the cluster and the security group wait for."""
        if self.service() and self.service()["status"] == "ACTIVE":
            self.ecs.delete_service(cluster=self.name, service=self.name, force=True)
        for task in self.ecs.list_tasks(cluster=self.name)["taskArns"]:
            self.ecs.stop_task(cluster=self.name, task=task, reason="the recording is over")
        self.until("the service and its tasks are gone", lambda: not self.service() and not self.ecs.list_tasks(cluster=self.name)["taskArns"])


def absent(error):
    """None where the refusal says that it is not there; whatever else it says is no answer."""
    if error.response["Error"]["Code"] in MISSING:
        return None
    raise error


# What says that something still needs it: it is tried again.
IN_USE = {
    "ResourceInUse", "DependencyViolation", "ClusterContainsServicesException", "ClusterContainsTasksException", "OperationNotPermitted",
    "UpdateInProgressException",
}  # fmt: skip


def removed(remove):
    try:
        remove()
        return True
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in MISSING:
            return True
        if code in IN_USE:
            return False
        raise
