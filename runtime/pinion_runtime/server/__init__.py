"""HTTP: inference on 8080, management on 8081."""
