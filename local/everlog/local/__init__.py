"""The real services on one machine, without Docker: Kafka, Valkey, SeaweedFS and a stand-in for MongoDB.

``Stack`` runs them as children of this process; ``supervisor`` runs them in the background. Programs come from PATH
or from Python wheels, the Java parts from a Maven repository, once.
"""
