// Bench measures gitboot against other tools that do the same job, and against
// the least that the job could cost. docs/benchmarks.md explains how, and holds
// the last figures.
//
//	make bench                          as root, on Debian or Ubuntu
//	go run ./tests/bench -list          the rows
//	go run ./tests/bench -only '^idle'  some of them
//	go run ./tests/bench -pairs 1       a quick look; the figures mean little
//	go run ./tests/bench -json FILE     every sample too
//	go run ./tests/bench -o docs/benchmarks.md
//
// Every figure is a ratio of two commands that were run in turn, ours first,
// as whole processes: what a busy computer does to one it does to the other.
// The exit code is 1 if a row could not be measured; a missed target is told
// in the table and is no error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"github.com/gitboot/gitboot/tests/lab"
)

// options are the command line's.
type options struct {
	only  *regexp.Regexp
	json  string
	out   string
	pairs int
	list  bool
}

func main() {
	// The initramfs has no command of its own, so this program is the whole
	// process that is measured.
	if len(os.Args) > 1 && os.Args[1] == initramfsCommand {
		exit(buildInitramfs(context.Background(), os.Args[2:]))
	}
	if len(os.Args) == 3 && os.Args[1] == serveCommand {
		exit(serve(os.Args[2]))
	}
	o, err := parseOptions()
	if err == nil {
		err = run(o)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parseOptions() (options, error) {
	var o options
	only := flag.String("only", "", "measure only the rows whose name matches this `regexp`")
	flag.StringVar(&o.json, "json", "", "write every sample to this `file`")
	flag.StringVar(&o.out, "o", "", "write the table into this Markdown `file`, between its markers")
	flag.IntVar(&o.pairs, "pairs", 0, "measure this many pairs in each row instead of the row's own number")
	flag.BoolVar(&o.list, "list", false, "list the rows")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-only: %w", err)
	}
	if o.out != "" && (*only != "" || o.pairs != 0) {
		return o, errors.New("-o publishes the whole table; leave -only and -pairs out")
	}
	return o, nil
}

func run(o options) error {
	if o.list {
		for _, r := range rows() {
			fmt.Printf("%-18s %s, against %s\n", r.id, r.what, r.against)
		}
		return nil
	}
	if err := lab.Begin("unpacks root file systems and mounts disks", "bench"); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := newSite(ctx)
	if err != nil {
		return err
	}
	report, err := measureRows(ctx, s, o)
	if err := errors.Join(err, s.close()); err != nil {
		return err
	}
	if o.out != "" {
		return report.publish(o.out)
	}
	return nil
}

// measureRows measures the chosen rows one after another. A row that fails does
// not keep the others from being measured.
func measureRows(ctx context.Context, s *site, o options) (*report, error) {
	rep, err := newReport(ctx)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, r := range rows() {
		if !o.only.MatchString(r.id) {
			continue
		}
		if o.pairs > 0 {
			r.pairs = o.pairs
		}
		fmt.Printf("\n==> %s: %s, against %s\n", r.id, r.what, r.against)
		res, err := r.measure(ctx, s, r)
		if ctx.Err() != nil {
			return nil, errors.New("interrupted; everything was cleaned up")
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", r.id, err))
			fmt.Printf("    failed: %v\n", err)
			continue
		}
		rep.add(r, res)
		if err := rep.save(o.json); err != nil {
			return nil, err
		}
	}
	if len(rep.Rows) > 0 {
		rep.print()
	}
	return rep, errors.Join(failed...)
}
