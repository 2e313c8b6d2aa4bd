SELECT ({row}) FROM pg_database d WHERE d.datname = current_database() AND {closed};
