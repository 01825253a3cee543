{{- /* What is missing or null in the values: what values.yaml says, without its comments. `global` belongs to the parent chart. */ -}}
{{- define "pinion.defaults" -}}
nameOverride: ""
fullnameOverride: ""
image:
  operator: {repository: pinion-operator, tag: ""}
  runtime: {repository: pinion-runtime, tag: ""}
  kubo: {repository: ipfs/kubo, tag: v0.42.0}
  pullPolicy: IfNotPresent
imagePullSecrets: []
crds:
  enabled: true
  keep: true
rbac:
  aggregate: true
hub:
  endpoint: ""
  xet: auto
proxy:
  http: ""
  https: ""
  noProxy: []
extraCA:
  configMap: ""
  secret: ""
  key: ca.crt
extraEnv: []
runtime:
  customImages:
    allow: false
    prefixes: []
podSecurity:
  runAs: Fixed
networkPolicy:
  monitoringNamespaces: [monitoring]
operator:
  replicas: 1
  podDisruptionBudget: true
  allowedNetworks: []
  allowLocalAddresses: false
  workers: 4
  logLevel: INFO
  namespaces: []
  resources:
    requests: {cpu: 50m, memory: 128Mi}
    limits: {memory: 512Mi}
  nodeSelector: {}
  tolerations: []
  affinity: {}
monitoring:
  podMonitor: auto
  prometheusRule: auto
  dashboard: false
  labels: {}
  interval: 30s
test:
  namespace: ""
  model: ""
  resources:
    requests: {cpu: 10m, memory: 32Mi}
    limits: {cpu: 500m, memory: 128Mi}
  keySecretRef: {name: "", key: ""}
{{- end }}

{{- /* Every template begins with this: values stored by an earlier chart lack keys, and null means the default. */ -}}
{{- define "pinion.setDefaults" -}}
{{- if eq (toString .Values.enabled) "false" }}
{{- fail "enabled: false does nothing here: it is for the parent chart, whose dependency needs `condition: pinion.enabled`" }}
{{- end }}
{{- include "pinion.fill" (dict "values" .Values "defaults" (include "pinion.defaults" . | fromYaml)) }}
{{- end }}

{{- /* Put each default where nothing is. Resources are somebody's own choice as a whole: what he took out of them stays out. */ -}}
{{- define "pinion.fill" -}}
{{- $values := .values }}
{{- range $key, $default := .defaults }}
{{- $value := index $values $key }}
{{- if kindIs "invalid" $value }}
{{- $_ := set $values $key $default }}
{{- else if and (kindIs "map" $default) (ne $key "resources") }}
{{- include "pinion.fill" (dict "values" $value "defaults" $default) }}
{{- end }}
{{- end }}
{{- end }}
