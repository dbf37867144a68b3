package quarantine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/pack"
)

// The process is told from others here rather than in main, so that no program
// which may fetch, a test least of all, starts itself as something else; and
// it need not wait for packages that it has no use for.
func init() {
	if os.Args[0] == childName {
		runtime.LockOSThread() // the main thread, which lasts, is the one that hears of the parent's end
		os.Exit(child())
	}
}

func child() int {
	say := json.NewEncoder(os.Stdout)
	last, err := obey(say)
	if err != nil {
		last = answer{Error: err.Error()}
	}
	if err := say.Encode(last); err != nil {
		return 1
	}
	return 0
}

func obey(say *json.Encoder) (answer, error) {
	if err := confine(); err != nil {
		return answer{}, fmt.Errorf("confining the process that reads the pack: %w", err)
	}
	file := func(fd uintptr) *os.File { return os.NewFile(fd, fmt.Sprint(fd)) }
	var tip *pack.Tip
	if len(os.Args) > 1 {
		tip = &pack.Tip{Name: plumbing.NewHash(os.Args[1]), Tag: len(os.Args) > 2, Judge: ask(say, file(6))}
	}
	got, err := pack.Receive(context.Background(), os.Stdin, file(3), file(5), tip)
	if err != nil {
		return answer{}, err
	}
	if _, err := file(4).Write(got.Index); err != nil {
		return answer{}, err
	}
	return answer{Sum: got.Sum.String(), Objects: got.Objects}, nil
}

// ask has the parent judge the tip. A bad one is the process's end.
func ask(say *json.Encoder, verdict io.Reader) func([]byte) error {
	return func(content []byte) error {
		if err := say.Encode(answer{Tip: content}); err != nil {
			return err
		}
		_, err := io.ReadFull(verdict, make([]byte, 1))
		return err
	}
}
