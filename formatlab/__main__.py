"""`python -m formatlab`."""

import sys

from formatlab.cli.main import main

sys.exit(main())
