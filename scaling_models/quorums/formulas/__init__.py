"""Plain functions behind the models of quorums."""
