postgres --version > /dev/termination-log
