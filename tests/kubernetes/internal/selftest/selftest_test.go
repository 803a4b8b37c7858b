package selftest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// refusing is a cluster on which one command fails.
type refusing struct {
	command string
	asked   []string
}

func (r *refusing) Kubectl(_ context.Context, _ []byte, arguments ...string) (string, error) {
	line := strings.Join(arguments, " ")
	r.asked = append(r.asked, line)
	if strings.Contains(line, r.command) {
		return "", errors.New("refused")
	}
	return "", nil
}

func (*refusing) Say(string, ...any) {}

func TestAFailureIsNamedAndCleanedUpAfter(t *testing.T) {
	cluster := &refusing{command: "rollout status"}
	err := Run(t.Context(), cluster)
	if err == nil || !strings.Contains(err.Error(), "three restricted pods with volumes are Ready") {
		t.Errorf("Run said: %v", err)
	}
	if !slices.Contains(cluster.asked, "delete namespace "+namespace+" --ignore-not-found") {
		t.Errorf("nothing was cleaned up: %q", cluster.asked)
	}
}

func TestAPodAgainstTheRulesMustBeRefused(t *testing.T) {
	if err := (test{&refusing{command: "nothing"}}).refusal(t.Context()); err == nil {
		t.Error("an accepted pod went unnoticed")
	}
	if err := (test{&refusing{command: "run root"}}).refusal(t.Context()); err == nil {
		t.Error("a refusal for another reason passed for Pod Security's")
	}
}
