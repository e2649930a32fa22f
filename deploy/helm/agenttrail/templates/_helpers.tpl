{{- define "agenttrail.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "agenttrail.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "agenttrail.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "agenttrail.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Labels of an object of a part: (list $ "collector"). */}}
{{- define "agenttrail.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ $root.Values.image.tag | default $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{ include "agenttrail.selector" . }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "agenttrail.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "agenttrail.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "agenttrail.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "agenttrail.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "agenttrail.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "agenttrail.secret" -}}
{{- if .Values.secrets.create }}{{ include "agenttrail.fullname" . }}{{ else }}{{ required "secrets.existingSecret: name the Secret with the addresses of the databases, see values.yaml" .Values.secrets.existingSecret }}{{ end }}
{{- end }}

{{- define "agenttrail.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "agenttrail.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- /* Environment of a container that uses keys of the Secret: (list $ (dict "AGENTTRAIL_POSTGRES_URL" "postgres-ledger-url")). */}}
{{- define "agenttrail.env" -}}
{{- $root := index . 0 -}}
{{- range $name, $key := index . 1 }}
- name: {{ $name }}_FILE
  value: /etc/agenttrail/secrets/{{ $key }}
{{- end }}
{{- if $root.Values.caSecret }}
- name: SSL_CERT_DIR
  value: /etc/agenttrail/ca
{{- end }}
{{- end }}

{{- define "agenttrail.mounts" -}}
- name: secrets
  mountPath: /etc/agenttrail/secrets
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if .Values.caSecret }}
- name: ca
  mountPath: /etc/agenttrail/ca
  readOnly: true
{{- end }}
{{- end }}

{{- /* Volumes for the same; only the keys that are used are there. */}}
{{- define "agenttrail.volumes" -}}
{{- $root := index . 0 -}}
- name: secrets
  secret:
    secretName: {{ include "agenttrail.secret" $root }}
    defaultMode: 0440
    items:
      {{- range $key := values (index . 1) | sortAlpha }}
      - { key: {{ $key }}, path: {{ $key }} }
      {{- end }}
- name: tmp
  emptyDir: {}
{{- if $root.Values.caSecret }}
- name: ca
  secret:
    secretName: {{ $root.Values.caSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "agenttrail.ledgerKeys" -}}
AGENTTRAIL_POSTGRES_URL: postgres-ledger-url
AGENTTRAIL_CLICKHOUSE_URL: clickhouse-ledger-url
{{- if .Values.ledger.stripe.enabled }}
AGENTTRAIL_STRIPE_KEY: stripe-key
AGENTTRAIL_STRIPE_WEBHOOK_SECRETS: stripe-webhook-secrets
{{- end }}
{{- end }}
