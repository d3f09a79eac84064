"""The meta-agent: what it is shown, and who proposes. Model keys live here and candidate code never does."""
