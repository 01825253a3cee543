"""Pure decisions about ModelDeployments."""
