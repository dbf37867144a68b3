// Noskip runs `go test` with the arguments that it is given, prints what that
// would, and fails if any test was skipped: who runs all tests wants to know of
// those that did not run. Only who is not root may skip what needs root. At the end
// it tells which tests took longest, because a run has to stay short, and once more
// which failed, as much was printed since.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Geteuid() == 0)) }

func run(args []string, out io.Writer, root bool) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Cancel = func() error { return nil } // the terminal interrupts go as well
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(out, "noskip:", err)
		return 1
	}
	r := show(events, out)
	err = cmd.Wait()
	for _, test := range longest(r.took) {
		fmt.Fprintf(out, "took %5.1f s: %s\n", r.took[test], test)
	}
	for _, test := range r.skipped {
		fmt.Fprintln(out, "skipped:", test)
	}
	for _, test := range r.failed {
		fmt.Fprintln(out, "failed:", test)
	}
	switch {
	case err != nil:
		return 1
	case len(r.skipped) > 0 && root:
		fmt.Fprintln(out, "FAIL: a test that is skipped as root hides that it does not work; let it run, or fail and say what lacks")
		return 1
	}
	return 0
}

// An event is one of `go doc test2json`.
type event struct {
	Action, Package, Test, Output string
	// Elapsed is in seconds, of a test that has ended.
	Elapsed float64
}

// told is how many of the longest tests are told, slow is how many seconds one of
// them takes at least.
const (
	told = 25
	slow = 5
)

// longest returns the tests that took longest, the longest first.
func longest(took map[string]float64) []string {
	tests := slices.Collect(maps.Keys(took))
	slices.SortFunc(tests, func(a, b string) int {
		return cmp.Or(cmp.Compare(took[b], took[a]), strings.Compare(a, b))
	})
	return tests[:min(len(tests), told)]
}

// results are what is told at the end: the tests that were skipped, with what they
// said of it, those that failed, with the end of what they said, and how many seconds
// slow tests took that are no part of others.
type results struct {
	skipped, failed []string
	took            map[string]float64
}

// show prints packages' results and what failing tests have printed.
func show(events io.Reader, out io.Writer) results {
	r := results{took: map[string]float64{}}
	said := map[string][]string{} // by test that goes on
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if len(line) > 0 && json.Unmarshal(line, &e) != nil {
			out.Write(line)
		}
		id := e.Package + " " + e.Test
		if e.Test != "" && e.Elapsed >= slow && !strings.Contains(e.Test, "/") {
			r.took[id] = e.Elapsed
		}
		switch {
		case e.Action == "build-output", e.Action == "output" && e.Test == "" && e.Output != "PASS\n":
			io.WriteString(out, e.Output)
		case e.Action == "output":
			said[id] = append(said[id], e.Output)
		case e.Action == "skip" && e.Test != "":
			r.skipped = append(r.skipped, id+": "+reason(said[id]))
			delete(said, id)
		case e.Action == "fail" && e.Test == "":
			for _, id := range started(said, e.Package) { // what a panic or a timeout has cut
				r.fails(id, said[id], out)
				delete(said, id)
			}
		case e.Action == "fail":
			r.fails(id, said[id], out)
			delete(said, id)
		case e.Action == "pass":
			delete(said, id)
		}
		if err != nil {
			return r
		}
	}
}

// ending is how many lines of what a test that failed has said are told once more.
const ending = 15

// fails prints all that a test has said, and keeps its end.
func (r *results) fails(id string, said []string, out io.Writer) {
	said = slices.DeleteFunc(said, framing)
	io.WriteString(out, strings.Join(said, ""))
	end := said[max(len(said)-ending, 0):]
	r.failed = append(r.failed, id+"\n\t"+strings.ReplaceAll(strings.TrimSpace(strings.Join(end, "")), "\n", "\n\t"))
}

func started(said map[string][]string, pkg string) (ids []string) {
	for id := range said {
		if strings.HasPrefix(id, pkg+" ") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// framing is what only -v prints.
func framing(line string) bool { return strings.HasPrefix(line, "=== ") }

// reason is what a test said last before its verdict.
func reason(said []string) string {
	said = slices.DeleteFunc(said, func(line string) bool { return framing(line) || strings.HasPrefix(strings.TrimSpace(line), "--- ") })
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.TrimSpace(said[len(said)-1])
}
