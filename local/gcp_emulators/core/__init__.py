"""Shared by all emulators: errors, HTTP and gRPC plumbing, child processes, stored documents, a simulated clock."""
