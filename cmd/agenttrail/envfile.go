package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// envFileSuffix ends the name of a variable that names a file with the value of another: AGENTTRAIL_POSTGRES_URL_FILE has
// that of AGENTTRAIL_POSTGRES_URL. Orchestrators give secrets as files, and processes show their environment to many.
const envFileSuffix = "_FILE"

// readEnvFiles sets the variables of this program that are given as files. A variable that is set as well is an error:
// nobody could tell which one counts.
func readEnvFiles() error {
	var errs []error
	for _, pair := range os.Environ() {
		name, file, _ := strings.Cut(pair, "=")
		target, ok := strings.CutSuffix(name, envFileSuffix)
		if !ok || file == "" || !strings.HasPrefix(name, "AGENTTRAIL_") {
			continue
		}
		if os.Getenv(target) != "" {
			errs = append(errs, fmt.Errorf("%s and %s are both set: leave one of them out", target, name))
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", name, err))
			continue
		}
		if err := os.Setenv(target, strings.TrimRight(string(text), "\r\n")); err != nil {
			errs = append(errs, fmt.Errorf("set %s: %w", target, err))
		}
	}
	return errors.Join(errs...)
}
