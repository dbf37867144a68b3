package wanted

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

func TestRepoName(t *testing.T) {
	const rest = "[image.a]\npull = \"registry.example/a:1\"\n[machine.laptop]\nimages = [\"a\"]\n"
	for _, c := range []struct {
		want, config string
		reason       string // "" = accepted
	}{
		{"", rest, ""},
		{"", "repo = \"lab\"\n" + rest, ""},
		{"fleet", "repo = \"fleet\"\n" + rest, ""},
		{"fleet", "repo = \"lab\"\n" + rest, `calls itself "lab" in gitboot.toml, but repo_name in agent.toml is "fleet"`},
		{"fleet", rest, "has no name in gitboot.toml"},
	} {
		r := &Repo{Machine: "laptop", Name: c.want}
		_, err := r.resolve(t.Context(), fstest.MapFS{"gitboot.toml": &fstest.MapFile{Data: []byte(c.config)}})
		var wrong *RepoNameError
		if c.reason == "" && err != nil || c.reason != "" && (!errors.As(err, &wrong) || !strings.Contains(err.Error(), c.reason)) {
			t.Errorf("%q of\n%s%v", c.want, c.config, err)
		}
	}
}
