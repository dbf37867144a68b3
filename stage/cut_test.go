package stage

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// cutStage, in the environment, makes TestCut's process the one that is cut.
const cutStage = "GITBOOT_TEST_CUT_STAGE"

// A process that is killed while it adds a layer leaves what Clean removes,
// and a stage that goes on working.
func TestCut(t *testing.T) {
	needTar2sqfs(t)
	data := noise(t, 4<<20)
	if dir := os.Getenv(cutStage); dir != "" {
		addForEver(t, dir, data)
	}
	s := newStage(t)
	// What it leaves behind becomes this process's, which can wait for its end.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCut$")
	cmd.Env = append(os.Environ(), cutStage+"="+s.Dir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for _, err := unix.Wait4(-1, nil, 0, nil); err != unix.ECHILD; {
		_, err = unix.Wait4(-1, nil, 0, nil)
	}
	l, err := s.Lock(context.Background(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	// The squasher, whose input ends early, may still have removed what it wrote.
	if left := files(t, s, "tmp"); len(left) > 1 {
		t.Errorf("left in tmp: %v", left)
	}
	if err := s.Clean(); err != nil {
		t.Fatal(err)
	}
	if left := append(files(t, s, "tmp"), files(t, s, "objects/sha256")...); left != nil {
		t.Errorf("left %v", left)
	}
	if _, err := s.AddLayer(context.Background(), source(data)); err != nil {
		t.Error(err)
	}
}

// addForEver begins to add a layer, says so, and waits for its end.
func addForEver(t *testing.T, dir string, data []byte) {
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := s.Lock(ctx, false); err != nil {
		t.Fatal(err)
	}
	src := source(data)
	src.Open = func(context.Context) (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() {
			w.Write(data[:3<<20])
			os.Stdout.WriteString("half\n")
		}()
		return r, nil
	}
	_, err = s.AddLayer(ctx, src)
	t.Fatalf("the layer came to an end: %v", err)
}
