{{- define "pinion.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}-operator
{{- end }}

{{- define "pinion.selector" -}}
app.kubernetes.io/name: pinion-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pinion.labels" -}}
{{ include "pinion.selector" . }}
app.kubernetes.io/part-of: pinion
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "pinion.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- /* Whether an object of the Prometheus operator is made: as told, or where its kind exists. */ -}}
{{- define "pinion.monitors" -}}
{{- if eq (toString .wish) "auto" }}{{ .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) }}{{ else }}{{ .wish }}{{ end }}
{{- end }}

{{- /* What the operator may do with its own kinds and their children. No Secret is read: a Role of a namespace may name some. */ -}}
{{- define "pinion.rules" -}}
- apiGroups: [pinion.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [pinion.dev]
  resources: [ipfsbackends]
  verbs: [get, list, watch, patch]
- apiGroups: [pinion.dev]
  resources: [modeldeployments/status, ipfsbackends/status]
  verbs: [patch]
- apiGroups: [pinion.dev]
  resources: [modeldeployments/finalizers, ipfsbackends/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments, statefulsets, controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]  # an annotation makes a kubelet renew the files of a pod at once
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, list]
{{- end }}
