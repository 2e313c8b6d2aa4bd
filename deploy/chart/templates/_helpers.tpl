{{/* The controllers that are installed: their entries in files/controllers.yaml. */}}
{{- define "temporal-stack.controllers" -}}
{{- $enabled := list -}}
{{- range (.Files.Get "files/controllers.yaml" | fromYaml).controllers -}}
{{- if (index $.Values.controllers .name).enabled -}}
{{- if and .needsTheCluster $.Values.watch.namespaces -}}
{{- fail (printf "watch.namespaces not applicable: the %s needs the whole cluster; set controllers.%s.enabled=false" .program .name) -}}
{{- end -}}
{{- $enabled = append $enabled . -}}
{{- end -}}
{{- end -}}
{{- toYaml $enabled -}}
{{- end -}}

{{/* One of the stack's own images: a dict with root, name and digest. */}}
{{- define "temporal-stack.image" -}}
{{- $image := .root.Values.image -}}
{{- $path := compact (list $image.registry $image.repository .name) | join "/" -}}
{{- if .digest -}}
{{ $path }}@{{ .digest }}
{{- else -}}
{{ $path }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The labels by which the pods of a controller are selected; they never change. */}}
{{- define "temporal-stack.selector" -}}
app.kubernetes.io/name: {{ . }}
app.kubernetes.io/part-of: temporal-stack
{{- end -}}

{{/* The labels of every other object: a dict with root, and a name if it belongs to one controller. */}}
{{- define "temporal-stack.labels" -}}
{{- with .name }}
app.kubernetes.io/name: {{ . }}
{{- end }}
app.kubernetes.io/part-of: temporal-stack
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}
