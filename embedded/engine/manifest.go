package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	engines "github.com/agenttrail/agenttrail/deploy/embedded"
)

// manifest is the part of the pinned npm files that concerns one platform.
type manifest struct {
	versions map[string]string // package to version
	locked   map[string]any    // path below the project to lock entry
}

// manifestFor picks the packages of one platform. With the others left out, what remains can be required: npm then
// reports what it cannot download, which it passes over in silence for an optional package.
func manifestFor(p Platform) (manifest, error) {
	var lock struct {
		Packages map[string]map[string]any `json:"packages"`
	}
	if err := json.Unmarshal(engines.PackageLock, &lock); err != nil {
		return manifest{}, fmt.Errorf("read engine lock file: %w", err)
	}
	m := manifest{versions: map[string]string{}, locked: map[string]any{}}
	for _, name := range []string{p.clickHousePackage(), p.postgresPackage()} {
		entry, ok := lock.Packages["node_modules/"+name]
		version, isText := entry["version"].(string)
		if !ok || !isText {
			return manifest{}, fmt.Errorf("read engine lock file: no version for %s", name)
		}
		delete(entry, "optional")
		m.versions[name] = version
		m.locked["node_modules/"+name] = entry
	}
	return m, nil
}

// write puts package.json, package-lock.json and .npmrc into dir.
func (m manifest) write(dir string) error {
	root := map[string]any{"name": "agenttrail-engines", "version": "0.0.0", "private": true, "dependencies": m.versions}
	m.locked[""] = map[string]any{"name": "agenttrail-engines", "version": "0.0.0", "dependencies": m.versions}
	lock := map[string]any{
		"name": "agenttrail-engines", "version": "0.0.0", "lockfileVersion": 3, "requires": true, "packages": m.locked,
	}
	for name, doc := range map[string]any{"package.json": root, "package-lock.json": lock} {
		raw, err := json.MarshalIndent(doc, "", "  ")
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), append(raw, '\n'), 0o600); err != nil {
			return fmt.Errorf("write engine manifest: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".npmrc"), engines.NPMRC, 0o600); err != nil {
		return fmt.Errorf("write engine manifest: %w", err)
	}
	return nil
}

// describe returns for example "ClickHouse 26.7.3-stable.1 and Postgres 18.4.0-beta.17".
func (m manifest) describe() string {
	var ch, pg string
	for name, version := range m.versions {
		if strings.HasPrefix(name, "@chdb/") {
			ch = version
		} else {
			pg = version
		}
	}
	return "ClickHouse " + ch + " and Postgres " + pg
}
