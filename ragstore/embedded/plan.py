"""What the supervisor is told to run."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    data_dir: str
    binaries: str
    settings: dict[str, str]

    def command(self) -> list[str]:
        """Without site-packages, and with the standard library first on the path."""
        package_root = str(Path(__file__).parents[2])
        program = "import sys; sys.path.append(sys.argv[1]); from ragstore.embedded.supervisor import main; main()"
        return [sys.executable, "-I", "-S", "-c", program, package_root, json.dumps(asdict(self))]
