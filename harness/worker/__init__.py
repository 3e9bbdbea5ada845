"""MEASURES: runs inside one backend's environment, with NumPy, that backend and Keras; nothing else imports it."""
