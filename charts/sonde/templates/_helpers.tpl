{{- define "sonde.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 36 | trimSuffix "-" }}
{{- end }}

{{- define "sonde.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" }}
{{- else }}
{{- $name := include "sonde.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 36 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 36 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "sonde.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* What selects a role's pods: (list $ "netpol-proxy"). */}}
{{- define "sonde.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "sonde.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The labels of a role's objects: (list $ "netpol-proxy"). */}}
{{- define "sonde.labels" -}}
{{- $root := index . 0 -}}
{{ include "sonde.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The metadata of a role's pods: (list $ "netpol-proxy"). */}}
{{- define "sonde.podMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "sonde.labels" . | nindent 2 }}
  {{- with $root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  # What a pod has measured is in its memory until somebody asks for it.
  cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
  {{- with $root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/*
What all pods have: (dict "root" $ "component" "egw-client" "nodeSelector" … "tolerations" …).
*/}}
{{- define "sonde.podSpec" -}}
{{- $values := .root.Values -}}
automountServiceAccountToken: false
# A namespace with a thousand services would put thousands of variables into each pod.
enableServiceLinks: false
securityContext:
  # The image's user is a number; the cluster may put another one in its place.
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- with $values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with merge (dict) (default (dict) .nodeSelector) $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat $values.tolerations (default (list) .tolerations) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpread.enabled }}
topologySpreadConstraints:
  - maxSkew: {{ $values.topologySpread.maxSkew }}
    topologyKey: {{ $values.topologySpread.topologyKey }}
    whenUnsatisfiable: {{ $values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "sonde.selector" (list .root .component) | nindent 8 }}
{{- end }}
{{- end }}

{{/* What all containers have: (list $ resources), where null stands for the common ones. */}}
{{- define "sonde.container" -}}
{{- $root := index . 0 -}}
image: {{ include "sonde.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml (default $root.Values.resources (index . 1)) | nindent 2 }}
{{- end }}

{{/* A readiness probe: the name of the port. There is no liveness probe: a restart forgets. */}}
{{- define "sonde.readiness" -}}
readinessProbe:
  httpGet:
    path: /readyz
    port: {{ . }}
  periodSeconds: 5
{{- end }}

{{/* --allow-from for each block, as list items. */}}
{{- define "sonde.allowFrom" -}}
{{- range .Values.allowFrom }}
- --allow-from={{ . }}
{{- end }}
{{- if and .Values.allowFrom (not .Values.allowFromLoopback) }}
- --allow-from-loopback=false
{{- end }}
{{- end }}

{{/*
An Indexed Job of so many pods at once, of which one that fails or is deleted is lost alone; a
second try would be another measurement: (list $ 10).
*/}}
{{- define "sonde.indexedJob" -}}
completionMode: Indexed
completions: {{ index . 1 }}
parallelism: {{ index . 1 }}
{{- if semverCompare ">=1.29-0" (index . 0).Capabilities.KubeVersion.Version }}
# With a limit for the whole Job its controller deletes all other pods, and what they measured.
backoffLimitPerIndex: 0
{{- else }}
# Before 1.29 a Job knows only a limit for all. Rather one measurement too many, which
# `sonde merge --expect` notices, than none.
backoffLimit: {{ index . 1 }}
{{- end }}
{{- end }}

{{/* Whether a duration is zero; empty where not. */}}
{{- define "sonde.isZero" -}}
{{- if regexMatch "^(0+(\\.0+)?[a-zµ]+)+$" . }}true{{ end }}
{{- end }}

{{/* The namespace of the external target. */}}
{{- define "sonde.targetNamespace" -}}
{{- default .Release.Namespace .Values.egw.target.namespace }}
{{- end }}

{{/* A member of the target's objects, where they are not in the release's namespace. */}}
{{- define "sonde.inTargetNamespace" -}}
{{- $space := include "sonde.targetNamespace" . }}
{{- if ne $space .Release.Namespace -}}
namespace: {{ $space }}
{{- end }}
{{- end }}

{{/* A policy's ingress rule for scraping: (list $ port port…); nothing where nobody may. */}}
{{- define "sonde.scrapeRule" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.metrics.from }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    {{- range rest $ }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
{{- end }}
{{- end }}

{{/* Whole seconds of a duration such as 1m30s, rounded up, and five more to end in. */}}
{{- define "sonde.graceSeconds" -}}
{{- $seconds := 0.0 }}
{{- $units := dict "h" 3600.0 "m" 60.0 "s" 1.0 "ms" 0.001 "us" 0.000001 "ns" 0.000000001 }}
{{- range regexFindAll "[0-9.]+(h|ms|m|us|ns|s)" . -1 }}
{{- $unit := regexFind "[a-z]+" . }}
{{- $seconds = addf $seconds (mulf (regexFind "[0-9.]+" . | float64) (get $units $unit)) }}
{{- end }}
{{- add (ceil $seconds | int) 5 }}
{{- end }}
