{{- /* What everything is named after. A Service is, so it begins with a letter and holds no dot, whatever the release is called. */ -}}
{{- define "pinion.name" -}}
{{- $release := .Release.Name | replace "." "-" | trunc 40 | trimSuffix "-" }}
{{- if not (regexMatch "^[a-z]" $release) }}{{ $release = printf "pinion-%s" $release | trunc 40 | trimSuffix "-" }}{{ end }}
{{- .Values.fullnameOverride | default (printf "%s-%s" $release (.Values.nameOverride | default "operator")) }}
{{- end }}

{{- define "pinion.selector" -}}
app.kubernetes.io/name: pinion-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "pinion.labels" -}}
{{ include "pinion.selector" . }}
app.kubernetes.io/part-of: pinion
app.kubernetes.io/version: {{ include "pinion.version" . | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{- /* In labels and tags, where a "+" of a version may not stand. */ -}}
{{- define "pinion.version" -}}
{{- .Chart.AppVersion | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{- /* One of the images by its key in `image`, from the parent chart's registry if it names one. */ -}}
{{- define "pinion.image" -}}
{{- $image := index .root.Values.image .name }}
{{- $default := index (include "pinion.defaults" .root | fromYaml).image .name }}
{{- $repository := $image.repository | default $default.repository }}
{{- with (.root.Values.global | default dict).imageRegistry }}
{{- $parts := splitList "/" $repository }}
{{- $named := first $parts }}
{{- if and (rest $parts) (or (contains "." $named) (contains ":" $named) (eq $named "localhost")) }}
{{- $repository = join "/" (rest $parts) }}
{{- end }}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}
{{- end }}
{{- $repository }}:{{ $image.tag | default $default.tag | default (include "pinion.version" .root) }}
{{- end }}

{{- /* The names of the chart's and of the parent chart's Secrets, each once, as a pod wants them. */ -}}
{{- define "pinion.imagePullSecrets" -}}
{{- $names := list }}
{{- range concat .Values.imagePullSecrets ((.Values.global | default dict).imagePullSecrets | default list) }}
{{- if kindIs "map" . }}{{ $names = append $names .name }}{{ else }}{{ $names = append $names . }}{{ end }}
{{- end }}
{{- range uniq $names }}
- name: {{ . | quote }}
{{- end }}
{{- end }}

{{- /* The same names for pods that the operator makes: those Secrets are of each object's namespace. */ -}}
{{- define "pinion.pullSecretNames" -}}
{{- $names := list }}{{ range include "pinion.imagePullSecrets" . | fromYamlArray }}{{ $names = append $names .name }}{{ end }}{{ join "," $names }}
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
  resources: [limitranges]
  verbs: [list]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, list]
{{- end }}

{{- /* To see whether another installation leads: each has a Lease, which counts if its service account may be an operator. */ -}}
{{- define "pinion.rivalRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end }}
