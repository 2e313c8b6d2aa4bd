# The new server serves already, and learns how its rows are distributed.
say "analyze;" | on_target query
