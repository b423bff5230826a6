"""A recurrent model here beside a small Transformer in CTranslate2: trained alike, then timed in turn."""
