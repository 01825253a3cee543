-- Health of ModelDeployment and IpfsBackend for Argo CD: `resource.customizations.health.pinion.dev_ModelDeployment` (and
-- `..._IpfsBackend`) in the ConfigMap argocd-cm. It trusts the status only when it speaks about the newest spec.
local health = {status = "Progressing", message = "waiting for the operator to look at it"}
local status = obj.status
if status == nil or status.observedGeneration == nil or status.observedGeneration < (obj.metadata.generation or 0) then
  return health
end
local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end
local ready, stalled, reconciling = found.Ready, found.Stalled, found.Reconciling
if obj.metadata.annotations ~= nil and obj.metadata.annotations["pinion.dev/paused"] == "true" then
  return {status = "Suspended", message = "pinion.dev/paused: nothing is reconciled"}
end
if stalled ~= nil and stalled.status == "True" then
  return {status = "Degraded", message = stalled.reason .. ": " .. (stalled.message or "")}
end
if ready ~= nil and ready.status == "True" then
  if ready.reason == "Suspended" then
    return {status = "Suspended", message = ready.message}
  end
  if reconciling == nil or reconciling.status ~= "True" then
    return {status = "Healthy", message = ready.message}
  end
end
if ready ~= nil and ready.status == "False" and ready.reason == "Degraded" then
  return {status = "Degraded", message = ready.message}
end
if reconciling ~= nil then
  health.message = reconciling.reason .. ": " .. (reconciling.message or "")
elseif ready ~= nil then
  health.message = ready.reason .. ": " .. (ready.message or "")
end
return health
