"""`python -m rpobench`, which launchers of several processes start."""

from rpobench.cli.main import main

main()
