"""`python -m rpobench`, which launchers of several processes start."""

from rpobench.cli import main

main()
