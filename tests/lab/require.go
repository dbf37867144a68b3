package lab

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

// Main is for the TestMain of packages that use machines: it isolates the test
// process, unless it will only skip them.
//
//	func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }
func Main(m *testing.M) int {
	flag.Parse()
	if os.Geteuid() == 0 && !testing.Short() {
		if err := Isolate(); err != nil {
			fmt.Fprintln(os.Stderr, "isolate the tests' mounts:", err)
			return 1
		}
	}
	return m.Run()
}

// RequireMachines skips a test under -short and for users other than root,
// and fails it if something else stands in the way of disks and machines.
func RequireMachines(t testing.TB) {
	t.Helper()
	need.Root(t)
	if err := Ready(); err != nil {
		t.Fatal(err)
	}
}
