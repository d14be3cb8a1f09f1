"""shellcheck over the scripts in actions and templates; actionlint reads those in workflows.

    python workflows.py PATH/TO/shellcheck
"""

import re
import subprocess
import sys
from pathlib import Path

import ruamel.yaml

ROOT = Path(__file__).parents[1]
# Wanted in templates: TRUEUP_TARGETS is several words.
EXCLUDED = {"actions": [], "templates": ["--exclude", "SC2086"]}


def scripts(node):
    """Every `run` and every `script`, wherever it stands."""
    if isinstance(node, list):
        return [script for one in node for script in scripts(one)]
    if not isinstance(node, dict):
        return []
    own = [text for key, text in node.items() if key == "run"]
    own += ["\n".join(lines) for key, lines in node.items() if key == "script"]
    return own + [script for one in node.values() for script in scripts(one)]


def main():
    count = 0
    for path in sorted([*ROOT.glob("actions/*/action.yml"), *ROOT.glob("templates/*.yml")]):
        for document in ruamel.yaml.YAML(typ="safe").load_all(path.read_text()):
            for script in scripts(document):
                name = path.relative_to(ROOT)
                # GitLab fills its inputs in before a shell reads it, so they belong into variables.
                assert not re.search(r"\$\[\[|\$\{\{", script), f"{name}: an input would become part of the script"
                command = [sys.argv[1], "--shell", "bash", "--severity", "style", *EXCLUDED[name.parts[0]], "-"]
                done = subprocess.run(command, input=script, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{name}\n{done.stdout}{done.stderr}")
                count += 1
    assert count >= 7, count
    print(f"workflows: shellcheck over {count} scripts")


if __name__ == "__main__":
    main()
