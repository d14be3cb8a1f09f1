"""The form of a recording: what of its samples the simulator is held against. Pure: samples in, tracks out, differences between two of them.

A track is what one thing went through, in order: a service deployment (status, stage, weights of the target and of its sources, hooks), the service (how
far its entries in `deployments` are), the rule of a listener (which target group has which weight), or the answers to one token. Nothing that AWS made up a
name or number for is in it: a deployment is called by its place, a target group by whether it was live at the beginning.
"""


def tracks_of(samples):
    """Of one course."""
    names = {}
    for sample in samples:
        for deployment in sample["deployments"]:
            names.setdefault(deployment["serviceDeploymentArn"], f"deployment {len(names) + 1}")
    live = next((arn for arn, weight in weights(samples[0]["rules"], 80) if weight), None)
    found = {}
    for sample in samples:
        for deployment in sample["deployments"]:
            add(found, names[deployment["serviceDeploymentArn"]], sample["at"], stage_of(deployment))
        add(found, "service", sample["at"], service_of(sample["service"]))
        for port, track in ((80, "production rule"), (8080, "test rule")):
            colours = {("blue" if arn == live else "green"): weight for arn, weight in weights(sample["rules"], port)}
            add(found, track, sample["at"], {colour: colours.get(colour, 0) for colour in ("blue", "green")})
    ends = samples[-1]["at"]
    return [{"of": of, "steps": lasting(steps, ends)} for of, steps in sorted(found.items())]


def token_tracks(calls):
    """Of the calls with one token."""
    tasks, steps = {}, []
    for call in calls:
        answered = call["answered"]
        arns = [task["taskArn"] for task in answered.get("tasks", [])] or answered.get("resourceIds", [])
        named = [tasks.setdefault(arn, f"task {len(tasks) + 1}") for arn in arns]
        members = sorted({member for task in answered.get("tasks", []) for member in task} & {"taskArn", "lastStatus", "desiredStatus", "containers"})
        said = {"asked": call["what"], "tasks": named, "refused": answered.get("refused"), "members": members}
        steps.append({"after": round(call["at"]), **said})
    return [{"of": "one token", "steps": steps}]


def stage_of(deployment):
    target, sources = deployment.get("targetServiceRevision", {}), deployment.get("sourceServiceRevisions", [])
    share = lambda revision, kind: revision.get(f"requested{kind}TrafficWeight")
    told = {"status": deployment["status"], "stage": deployment.get("lifecycleStage")}
    for kind in ("Production", "Test"):
        told[kind.lower()] = [share(target, kind), *(share(source, kind) for source in sources)]
    told["hooks"] = sorted(f"{hook.get('targetType')} {hook.get('status')}" for hook in deployment.get("lifecycleHookDetails", []))
    told["rollback"] = "rollback" in deployment
    return told


def service_of(service):
    entries = [f"{one['status']} {one.get('rolloutState')}" for one in service.get("deployments", [])]
    primary = next((one["taskDefinition"] for one in service["deployments"] if one["status"] == "PRIMARY"), None)
    return {"deployments": entries, "taskDefinitionIsPrimary": service.get("taskDefinition") == primary, "taskSets": len(service.get("taskSets", []))}


def weights(rules, port):
    actions = rules.get(port) or rules.get(str(port)) or []
    for action in actions:
        for group in action.get("ForwardConfig", {}).get("TargetGroups", []):
            yield group["TargetGroupArn"], group.get("Weight", 0)


def add(found, track, at, told):
    """A step is where something changes."""
    steps = found.setdefault(track, [])
    if not steps or {**steps[-1], "after": None} != {**told, "after": None}:
        steps.append({"after": round(at), **told})


def lasting(steps, ends):
    """How many seconds each was seen; the last until the samples end."""
    after = [step["after"] for step in steps] + [round(ends)]
    return [{**step, "seconds": after[place + 1] - after[place]} for place, step in enumerate(steps)]


def plain(step):
    """What is compared: not when, and not for how long."""
    return {key: value for key, value in step.items() if key not in ("after", "seconds")}


def differences(recorded, simulated, interval):
    """What does not agree, a line each. Every recorded step must come in the simulation, in order; what the simulation has in between may only be what
    a recording with this interval between its samples can have missed."""
    there = {track["of"]: track["steps"] for track in simulated}
    told = {track["of"]: track["steps"] for track in recorded}
    for of in sorted(there.keys() | told.keys()):
        if of not in there or of not in told:
            yield f"{of}: only {'recorded' if of in told else 'simulated'}"
            continue
        yield from (f"{of}: {problem}" for problem in in_order(told[of], there[of], interval))


def in_order(recorded, simulated, interval):
    place = 0
    for number, step in enumerate(recorded):
        found = next((at for at in range(place, len(simulated)) if plain(simulated[at]) == plain(step)), None)
        if found is None:
            yield f"step {number + 1} does not come here: {plain(step)}"
            continue
        yield from (f"not recorded: {plain(simulated[at])}" for at in range(place, found) if lasts(simulated[at], interval))
        place = found + 1
    yield from (f"not recorded at the end: {plain(simulated[at])}" for at in range(place, len(simulated)) if lasts(simulated[at], interval))


def lasts(step, interval):
    return step.get("seconds", interval) >= interval
