package counter

import "testing"

func TestNames(t *testing.T) {
	for file, want := range map[string]Name{
		"a.conf":                      {ID: "a"},
		"a+3.conf":                    {ID: "a", Counted: true, Left: 3},
		"a+2-1.conf":                  {ID: "a", Counted: true, Left: 2, Done: 1},
		"a+0-3.conf":                  {ID: "a", Counted: true, Done: 3},
		"a-1+0.conf":                  {ID: "a-1", Counted: true},
		"a+b+12.conf":                 {ID: "a+b", Counted: true, Left: 12},
		"a+.conf":                     {ID: "a+"},
		"a+1-.conf":                   {ID: "a+1-"},
		"a++1.conf":                   {ID: "a+", Counted: true, Left: 1},
		"a+1-2-3.conf":                {ID: "a+1-2-3"},
		"a+-1.conf":                   {ID: "a+-1"},
		"+1.conf":                     {ID: "+1"},
		"a+99999999999999999999.conf": {ID: "a+99999999999999999999"},
	} {
		want.Ext = ".conf"
		got, ok := Parse(file, ".conf")
		if !ok || got != want {
			t.Errorf("%s is %+v, %t; want %+v", file, got, ok, want)
		}
		if got.String() != file {
			t.Errorf("%s becomes %s", file, got)
		}
	}
	for _, file := range []string{"", ".conf", "a", "a.CONF", "a.conf.bak"} {
		if n, ok := Parse(file, ".conf"); ok {
			t.Errorf("%q is %+v", file, n)
		}
	}
}
