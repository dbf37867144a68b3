package buildah_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
	"github.com/gitboot/gitboot/tests/need"
)

// busy runs the program %[1]s, whose first %[3]d builds find that the kernel seals none
// of their steps' copies of it. %[2]s is a folder.
const busy = `#!/bin/sh
case " $* " in
*" build "*)
	echo >>%[2]s/builds
	if [ "$(wc -l <%[2]s/builds)" -le %[3]d ]; then
		exec strace -f --seccomp-bpf -qq -o /dev/null -P /memfd:buildah-chroot-exec -e trace=fcntl -e inject=fcntl:error=EBUSY %[1]s "$@"
	fi
	;;
esac
exec %[1]s "$@"
`

// A step that the kernel did not let begin is begun again, but not for ever.
func TestUnsealed(t *testing.T) {
	need.Program(t, "strace")
	b := newBuildah(t)
	base := enginetest.Busybox(t, b)
	real := b.Program
	build := func(failures int, step string) (string, error) {
		dir := t.TempDir()
		b.Program = filepath.Join(dir, "program")
		if err := os.WriteFile(b.Program, fmt.Appendf(nil, busy, real, dir, failures), 0o700); err != nil {
			t.Fatal(err)
		}
		_, log, err := enginetest.Build(t, b, recipe.Recipe{
			FS:             recipetest.Repo(map[string]string{"f": "FROM $GITBOOT_FROM\nRUN echo " + step + "\n"}),
			Containerfiles: []string{"f"},
		}, engine.Options{Base: base.ID})
		return log, err
	}
	if log, err := build(1, "once"); err != nil || !strings.Contains(log, "begins again") {
		t.Errorf("%v\n%s", err, log)
	}
	if log, err := build(9, "always"); err == nil || strings.Count(log, "begins again") != 2 {
		t.Errorf("%v\n%s", err, log)
	}
}
