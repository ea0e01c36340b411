//go:build race

package rotationtest

// stride makes a build with the race detector, in which all is ten times
// slower, explore a smaller part of the schedules.
const stride = 4
