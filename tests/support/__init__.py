"""What several tests share: servers, terminals, processes, and sample integrations."""
