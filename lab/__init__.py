"""Real hosts on one Linux machine: systemd, sshd and a network of their own, in seconds (docs/decisions/0009)."""
