"""What the emulators share: HTTP and gRPC plumbing, processes, stored documents, a clock that can be set."""
