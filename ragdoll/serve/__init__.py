"""The service: tables and models kept warm for applications, agents and people."""
