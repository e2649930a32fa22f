package check_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const chartDir = "../helm/agenttrail"

// valuesFiles are those that the chart comes with; the first is its own.
var valuesFiles = []string{"values.yaml", "values-production.yaml", "values-cluster.yaml"}

func values(t *testing.T, file string) map[string]any {
	t.Helper()
	v, err := chartutil.ReadValuesFile(filepath.Join(chartDir, file))
	require.NoError(t, err)
	return v
}

// TestLint is "helm lint --strict" with each of the values files.
func TestLint(t *testing.T) {
	t.Parallel()
	for _, file := range valuesFiles {
		result := lint.All(chartDir, values(t, file), "observability", true)
		for _, m := range result.Messages {
			if strings.Contains(m.Err.Error(), "icon is recommended") {
				continue
			}
			require.Less(t, m.Severity, support.WarningSev, "%s: %s: %v", file, m.Path, m.Err)
		}
	}
}

// document is one object that the chart makes.
type document struct {
	from   string
	object runtime.Object
	meta   v1.Object
	text   string
}

// codecs reads objects of Kubernetes and of the Prometheus operator, and refuses fields that they do not have.
var codecs = func() runtime.Decoder {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, monitoring.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(s, serializer.EnableStrict).UniversalDeserializer()
}()

// template is "helm template": every object, read strictly.
func template(t *testing.T, c *chart.Chart, with map[string]any) []document {
	t.Helper()
	documents, err := tryTemplate(c, with)
	require.NoError(t, err)
	return documents
}

func tryTemplate(c *chart.Chart, with map[string]any) (documents []document, err error) {
	rendered, err := chartutil.ToRenderValues(c, with, chartutil.ReleaseOptions{Name: "trail", Namespace: "observability", IsInstall: true, Revision: 1}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, rendered)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		for _, text := range regexp.MustCompile(`(?m)^---\s*$`).Split(files[name], -1) {
			if strings.TrimSpace(text) == "" {
				continue
			}
			object, _, err := codecs.Decode([]byte(text), nil, nil)
			if err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", name, err, text)
			}
			documents = append(documents, document{name, object, object.(v1.Object), text})
		}
	}
	return documents, nil
}

func load(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load(chartDir)
	require.NoError(t, err)
	return c
}

// render is the chart with one of its values files.
func render(t *testing.T, file string) []document {
	t.Helper()
	return template(t, load(t), values(t, file))
}

// find gives the objects of a kind by name.
func find[T runtime.Object](documents []document) map[string]T {
	found := map[string]T{}
	for _, d := range documents {
		if o, ok := d.object.(T); ok {
			found[d.meta.GetName()] = o
		}
	}
	return found
}

// pods are the templates of pods, with the names of what makes them.
func pods(documents []document) map[string]corev1.PodTemplateSpec {
	found := map[string]corev1.PodTemplateSpec{}
	for name, o := range find[*appsv1.StatefulSet](documents) {
		found[name] = o.Spec.Template
	}
	for name, o := range find[*appsv1.Deployment](documents) {
		found[name] = o.Spec.Template
	}
	for name, o := range find[*batchv1.Job](documents) {
		found[name] = o.Spec.Template
	}
	return found
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	for _, file := range valuesFiles {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			documents := render(t, file)
			kinds := map[string]int{}
			names := map[string]bool{}
			for _, d := range documents {
				kind := d.object.GetObjectKind().GroupVersionKind().Kind
				kinds[kind]++
				require.NotEmpty(t, d.meta.GetName(), d.text)
				require.False(t, names[kind+d.meta.GetName()], "%s %s twice", kind, d.meta.GetName())
				names[kind+d.meta.GetName()] = true
				require.Equal(t, "trail", d.meta.GetLabels()["app.kubernetes.io/instance"], d.text)
			}
			for kind, least := range map[string]int{"StatefulSet": 1, "Deployment": 1, "Job": 2, "Service": 3, "ConfigMap": 2, "NetworkPolicy": 3, "PodDisruptionBudget": 2, "ServiceAccount": 1} {
				require.GreaterOrEqual(t, kinds[kind], least, kind)
			}
			checkPods(t, documents)
			checkSelectors(t, documents)
			checkReferences(t, documents)
			checkConfigurations(t, documents)
		})
	}
}

// checkPods looks for what every pod must have: a pinned image, the restricted profile of Kubernetes, probes, resources.
func checkPods(t *testing.T, documents []document) {
	t.Helper()
	all := pods(documents)
	require.Len(t, all, 4)
	jobs := find[*batchv1.Job](documents)
	for name, pod := range all {
		s := pod.Spec.SecurityContext
		require.True(t, *s.RunAsNonRoot, name)
		require.NotZero(t, *s.RunAsUser, name)
		require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, s.SeccompProfile.Type, name)
		require.False(t, *pod.Spec.AutomountServiceAccountToken, name)
		require.False(t, pod.Spec.HostNetwork || pod.Spec.HostPID || pod.Spec.HostIPC, name)
		for _, v := range pod.Spec.Volumes {
			require.Nil(t, v.HostPath, name)
		}
		for _, c := range pod.Spec.Containers {
			require.Regexp(t, `^[^:@]+(:[0-9]+\.[0-9]+\.[0-9]+|@sha256:[0-9a-f]{64})$`, c.Image, name)
			require.False(t, *c.SecurityContext.AllowPrivilegeEscalation, name)
			require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, name)
			require.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, name)
			require.Empty(t, c.SecurityContext.Capabilities.Add, name)
			require.NotZero(t, c.Resources.Requests.Cpu().MilliValue(), name)
			require.NotZero(t, c.Resources.Requests.Memory().Value(), name)
			require.NotZero(t, c.Resources.Limits.Memory().Value(), name)
			if jobs[name] != nil {
				require.Equal(t, "pre-install,pre-upgrade", jobs[name].Annotations["helm.sh/hook"], name)
				continue
			}
			ports := map[string]bool{}
			for _, p := range c.Ports {
				ports[p.Name] = true
			}
			for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
				require.NotNil(t, probe, name)
				require.True(t, ports[probe.HTTPGet.Port.String()], "%s: probe of %s", name, probe.HTTPGet.Port.String())
			}
		}
	}
}

// checkSelectors sees to it that every selector finds pods, and that services and policies name ports that these have.
func checkSelectors(t *testing.T, documents []document) {
	t.Helper()
	all := pods(documents)
	selected := func(what string, selector map[string]string) (ports map[string]bool) {
		t.Helper()
		require.NotEmpty(t, selector, what)
		ports = map[string]bool{}
		hits := 0
		for _, pod := range all {
			if labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels)) {
				hits++
				for _, c := range pod.Spec.Containers {
					for _, p := range c.Ports {
						ports[p.Name] = true
					}
				}
			}
		}
		require.NotZero(t, hits, "%s selects no pod", what)
		return ports
	}
	services := find[*corev1.Service](documents)
	for name, s := range services {
		ports := selected("service "+name, s.Spec.Selector)
		for _, p := range s.Spec.Ports {
			require.True(t, ports[p.TargetPort.String()], "service %s: port %s", name, p.TargetPort.String())
		}
	}
	for name, o := range find[*appsv1.StatefulSet](documents) {
		require.Subset(t, o.Spec.Template.Labels, o.Spec.Selector.MatchLabels, name)
		require.Contains(t, services, o.Spec.ServiceName, name)
		require.Equal(t, appsv1.RetainPersistentVolumeClaimRetentionPolicyType, o.Spec.PersistentVolumeClaimRetentionPolicy.WhenScaled)
		require.Equal(t, appsv1.RetainPersistentVolumeClaimRetentionPolicyType, o.Spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted)
	}
	for name, o := range find[*appsv1.Deployment](documents) {
		require.Subset(t, o.Spec.Template.Labels, o.Spec.Selector.MatchLabels, name)
	}
	for name, o := range find[*policyv1.PodDisruptionBudget](documents) {
		selected("disruption budget "+name, o.Spec.Selector.MatchLabels)
	}
	for name, o := range find[*networkingv1.NetworkPolicy](documents) {
		ports := selected("network policy "+name, o.Spec.PodSelector.MatchLabels)
		for _, rule := range o.Spec.Ingress {
			for _, p := range rule.Ports {
				require.True(t, ports[p.Port.String()], "network policy %s: port %s", name, p.Port.String())
			}
		}
	}
	for name, o := range find[*autoscalingv2.HorizontalPodAutoscaler](documents) {
		ref := o.Spec.ScaleTargetRef
		switch ref.Kind {
		case "StatefulSet":
			target := find[*appsv1.StatefulSet](documents)[ref.Name]
			require.NotNil(t, target, name)
			require.Nil(t, target.Spec.Replicas, "%s: two would decide on the number", name)
			require.Equal(t, autoscalingv2.DisabledPolicySelect, *o.Spec.Behavior.ScaleDown.SelectPolicy, "a collector must not go by itself: its journal")
		case "Deployment":
			target := find[*appsv1.Deployment](documents)[ref.Name]
			require.NotNil(t, target, name)
			require.Nil(t, target.Spec.Replicas, name)
		default:
			t.Errorf("%s scales a %s", name, ref.Kind)
		}
	}
	for name, o := range find[*monitoring.ServiceMonitor](documents) {
		hits := 0
		for _, s := range services {
			if !labels.SelectorFromSet(o.Spec.Selector.MatchLabels).Matches(labels.Set(s.Labels)) {
				continue
			}
			hits++
			for _, e := range o.Spec.Endpoints {
				require.True(t, slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == e.Port }), "%s: port %s of %s", name, e.Port, s.Name)
			}
		}
		require.Equal(t, 1, hits, "%s: services", name)
	}
	for name, o := range find[*networkingv1.Ingress](documents) {
		for _, r := range o.Spec.Rules {
			for _, p := range r.HTTP.Paths {
				s := services[p.Backend.Service.Name]
				require.NotNil(t, s, name)
				require.True(t, slices.ContainsFunc(s.Spec.Ports, func(port corev1.ServicePort) bool { return port.Name == p.Backend.Service.Port.Name }), name)
			}
		}
	}
}

// secretKeys are those that values.yaml tells people to make.
var secretKeys = []string{"clickhouse-writer-url", "clickhouse-ledger-url", "clickhouse-migrator-url", "postgres-ledger-url", "postgres-migrator-url", "stripe-key", "stripe-webhook-secrets"}

// checkReferences sees to it that what a pod names is there: configurations, service accounts, keys of the Secret, mounts.
func checkReferences(t *testing.T, documents []document) {
	t.Helper()
	configs, accounts := find[*corev1.ConfigMap](documents), find[*corev1.ServiceAccount](documents)
	for name, pod := range pods(documents) {
		if a := pod.Spec.ServiceAccountName; a != "" {
			require.Contains(t, accounts, a, name)
		}
		volumes, secrets := map[string]bool{}, map[string]bool{}
		for _, v := range pod.Spec.Volumes {
			volumes[v.Name] = true
			switch {
			case v.ConfigMap != nil:
				require.Contains(t, configs, v.ConfigMap.Name, name)
			case v.Secret != nil && v.Name == "secrets":
				for _, item := range v.Secret.Items {
					require.Contains(t, secretKeys, item.Key, name)
					secrets["/etc/agenttrail/secrets/"+item.Path] = true
				}
			}
		}
		if s := find[*appsv1.StatefulSet](documents)[name]; s != nil {
			for _, c := range s.Spec.VolumeClaimTemplates {
				volumes[c.Name] = true
			}
		}
		for _, c := range pod.Spec.Containers {
			for _, m := range c.VolumeMounts {
				require.True(t, volumes[m.Name], "%s mounts %s", name, m.Name)
			}
			used := 0
			for _, e := range c.Env {
				if strings.HasSuffix(e.Name, "_FILE") {
					require.True(t, secrets[e.Value], "%s: %s", name, e.Value)
					used++
				}
			}
			require.Len(t, secrets, used, "%s gets more of the Secret than it uses", name)
		}
	}
}

// checkConfigurations has the program itself read what the chart makes for it.
func checkConfigurations(t *testing.T, documents []document) {
	t.Helper()
	for name, pod := range pods(documents) {
		args := pod.Spec.Containers[0].Args
		if args[0] == "migrate" { // Its flags, and nothing else of it, without a database.
			agenttrail(t, nil, append(slices.Clone(args), "--help")...)
			if args[1] == "clickhouse" {
				require.Contains(t, agenttrail(t, nil, append(slices.Clone(args), "--dry-run")...), "CREATE TABLE IF NOT EXISTS", name)
			}
			continue
		}
		require.Equal(t, "--config", args[1], name)
		text := find[*corev1.ConfigMap](documents)[name].Data[args[0]+".yaml"]
		require.NotEmpty(t, text, name)
		file := filepath.Join(t.TempDir(), args[0]+".yaml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		env := []string{"AGENTTRAIL_CLICKHOUSE_URL=http://writer:secret@ch1:8123", "AGENTTRAIL_POSTGRES_URL=postgres://ledger:secret@pg1/agenttrail"}
		out := agenttrail(t, env, args[0], "validate", "--config", file)
		require.NotContains(t, out, "warning", name)
	}
}

// TestMonitoring sees to it that every rule and every dashboard of the checkout is in what the chart makes.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	documents := render(t, "values-production.yaml")
	rules, err := filepath.Glob(filepath.Join(root, "dashboards/rules/*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, rules)
	made := find[*monitoring.PrometheusRule](documents)
	require.Len(t, made, len(rules))
	for _, file := range rules {
		var want monitoring.PrometheusRuleSpec
		require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, file)), &want))
		rule := made["trail-agenttrail-"+strings.TrimSuffix(filepath.Base(file), ".yaml")]
		require.NotNil(t, rule, file)
		require.Equal(t, want, rule.Spec, file)
	}
	dashboards, err := filepath.Glob(filepath.Join(root, "dashboards/*.json"))
	require.NoError(t, err)
	found := 0
	for _, c := range find[*corev1.ConfigMap](documents) {
		if c.Labels["grafana_dashboard"] != "1" {
			continue
		}
		found++
		require.Len(t, c.Data, 1)
		for name, text := range c.Data {
			require.JSONEq(t, read(t, filepath.Join(root, "dashboards", strings.TrimPrefix(name, "agenttrail-"))), text)
			require.Less(t, len(text), 1<<20, "a ConfigMap holds a mebibyte")
		}
	}
	require.Equal(t, len(dashboards), found)
}

// TestPackage packs the chart and renders it from the archive.
func TestPackage(t *testing.T) {
	t.Parallel()
	archive, err := chartutil.Save(load(t), t.TempDir())
	require.NoError(t, err)
	c, err := loader.Load(archive)
	require.NoError(t, err)
	require.Len(t, template(t, c, values(t, "values-production.yaml")), len(render(t, "values-production.yaml")))
	for _, f := range c.Raw {
		require.NotContains(t, f.Name, ".go")
		require.NotContains(t, f.Name, "rules/tests")
	}
	st, err := os.Stat(archive)
	require.NoError(t, err)
	require.Less(t, st.Size(), int64(700<<10), "Helm keeps the chart in a Secret")
}

// TestValues tries values that are wrong, and some that people need.
func TestValues(t *testing.T) {
	t.Parallel()
	c := load(t)
	for _, wrong := range []string{
		"collectr: {}", "collector: {replica: 2}", "collector: {replicas: 0}", "image: {digest: latest}", "clickhouse: {ports: []}", "ledger: {maxConnections: 2}",
		"secrets: {existingSecret: ''}", "ingress: {ledger: {enabled: true}}", "migrations: {retention: 'a month'}", "collector: {journal: {size: much}}",
	} {
		v, err := chartutil.ReadValues([]byte(wrong))
		require.NoError(t, err)
		_, err = tryTemplate(c, v)
		require.Error(t, err, wrong)
	}
	v, err := chartutil.ReadValues([]byte(`
image: {digest: "sha256:` + strings.Repeat("ab", 32) + `"}
secrets: {create: true, values: {clickhouse-writer-url: "http://w:p@ch:8123"}}
commonLabels: {team: agents}
ledger: {enabled: false}
collector: {config: "receivers: {}", extraEnv: [{name: A, value: b}], extraArgs: ["--set=a=b"]}
`))
	require.NoError(t, err)
	documents := template(t, c, v)
	secret := find[*corev1.Secret](documents)["trail-agenttrail"]
	require.Equal(t, "http://w:p@ch:8123", secret.StringData["clickhouse-writer-url"])
	require.Less(t, secret.Annotations["helm.sh/hook-weight"], "0", "before the migrations")
	require.Empty(t, find[*appsv1.Deployment](documents))
	require.Len(t, find[*batchv1.Job](documents), 1)
	require.Equal(t, "receivers: {}", strings.TrimSpace(find[*corev1.ConfigMap](documents)["trail-agenttrail-collector"].Data["collector.yaml"]))
	for _, d := range documents {
		require.Equal(t, "agents", d.meta.GetLabels()["team"], d.text)
	}
}
