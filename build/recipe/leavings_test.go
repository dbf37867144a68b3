package recipe

import (
	"strings"
	"testing"

	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

// A fragment's USER holds for that fragment alone, and what gitboot adds runs
// in a shell. Nothing is added where nothing is left.
func TestWhatFragmentsLeave(t *testing.T) {
	files := recipetest.Repo(map[string]string{
		"plain":    "FROM $GITBOOT_FROM\nUSER x\nRUN a\nUSER root:root\n",
		"user":     "FROM $GITBOOT_FROM AS one\nUSER x:y\nFROM one\nRUN a\n",
		"shell":    "FROM $GITBOOT_FROM\nSHELL [\"/usr/bin/python3\", \"-c\"]\n",
		"bash":     "FROM $GITBOOT_FROM\nSHELL [\"/bin/bash\", \"-c\"]\n",
		"next":     "FROM $GITBOOT_FROM AS b\nRUN b\nFROM debian\nRUN c\nFROM $GITBOOT_FROM\nRUN d\n",
		"r/script": "#!/bin/sh\n",
	})
	for _, c := range []struct {
		r    Recipe
		want string // of what is rendered, the lines that count
		user string
	}{
		{Recipe{Containerfiles: []string{"plain", "next"}, Run: []string{"e"}}, "USER x; RUN a; USER root:root; FROM; RUN b; FROM; RUN c; FROM; RUN d; FROM; RUN e", ""},
		{Recipe{Containerfiles: []string{"user", "next"}, Run: []string{"e"}}, "USER x:y; FROM; RUN a; FROM; USER 0:0; RUN b; FROM; RUN c; FROM; USER 0:0; RUN d; FROM; RUN e", ""},
		{Recipe{Containerfiles: []string{"user"}, Run: []string{"e"}}, "USER x:y; FROM; RUN a; FROM; USER 0:0; RUN e; USER x:y", "x:y"},
		{Recipe{Containerfiles: []string{"user"}}, "USER x:y; FROM; RUN a", "x:y"},
		{Recipe{BaseUser: "x", Run: []string{"e"}}, "USER 0:0; RUN e; USER x", "x"},
		{Recipe{Containerfiles: []string{"shell"}, Run: []string{"e"}}, `SHELL ["/usr/bin/python3", "-c"]; FROM; SHELL ["/bin/sh", "-c"]; RUN e`, ""},
		{Recipe{Containerfiles: []string{"bash"}, Run: []string{"e"}}, `SHELL ["/bin/bash", "-c"]; FROM; RUN e`, ""},
	} {
		c.r.FS = files
		p := prepare(t, c.r)
		var got []string
		for line := range strings.Lines(string(p.Containerfile)) {
			switch word, _, _ := strings.Cut(line, " "); word {
			case "FROM":
				got = append(got, word)
			case "USER", "RUN", "SHELL":
				got = append(got, strings.TrimSpace(line))
			}
		}
		if got := strings.TrimPrefix(strings.Join(got, "; "), "FROM; "); got != c.want || p.User != c.user {
			t.Errorf("%+v: %s, and leaves %q", c.r, got, p.User)
		}
	}
}
