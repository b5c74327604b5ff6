"""IAM: policies of resources, test of permissions, tokens of service accounts."""
