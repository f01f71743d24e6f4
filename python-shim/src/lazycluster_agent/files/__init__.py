"""Files and folders of the host: sent, received, compared, removed."""
