package deployment

import (
	"reflect"
	"strings"
	"testing"
)

func TestUnlock(t *testing.T) {
	stick := Location{Device: "UUID=12AB-34CD", Path: "/keys/laptop"}
	for text, want := range map[string]Unlock{
		"":           {},
		"passphrase": {Ways: []string{UnlockPassphrase}},
		"tpm2,keyfile:UUID=12AB-34CD:/keys/laptop,passphrase,timeout:300": {Ways: []string{UnlockTPM2, UnlockKeyFile, UnlockPassphrase}, KeyFile: stick, Timeout: 300},
		"timeout:5": {Timeout: 5},
	} {
		got, err := ParseUnlock(text)
		if err != nil || !reflect.DeepEqual(got, want) || got.String() != text {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"fido2": "is none of", "keyfile": "without the place", "tpm2,tpm2": "twice", "tpm2,": "is none of", "tpm2:x": "colon",
		"keyfile:/dev/sdb:key": "location", "timeout:0s": "seconds", "timeout:86401": "seconds", "keyfile:UUID=:/x": "location",
	} {
		if got, err := ParseUnlock(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for want, u := range map[string]Unlock{
		"no keyfile among": {KeyFile: stick},
		"a comma":          {Ways: []string{UnlockKeyFile}, KeyFile: Location{Device: "LABEL=a,b", Path: "/k"}},
		"timeout":          {Timeout: -1},
	} {
		if err := u.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", u, err)
		}
	}
}

// Of several arguments the last counts, as at boot.
func TestUnlockIn(t *testing.T) {
	got := UnlockIn([]string{"gitboot.unlock=tpm2", "quiet", `"gitboot.unlock=keyfile:UUID=12AB-34CD:/key"`, "gitboot.unlocked=passphrase"})
	if want := (Unlock{Ways: []string{UnlockKeyFile}, KeyFile: Location{Device: "UUID=12AB-34CD", Path: "/key"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := UnlockIn(nil); !reflect.DeepEqual(got, Unlock{}) {
		t.Errorf("%+v", got)
	}
}
