// Package vaultlogin is what a program needs of HashiCorp Vault and OpenBao
// before it can read or write a secret there: a client, a token that stays
// alive, a path that leads where it seems to, and errors that show nothing of
// what the server or its SDK says. The provider that reads keys and the store
// that rotates them share it.
//
// Its errors are *keyprovider.Error without the name of a provider; whoever
// returns them to a user adds the name with [Named].
package vaultlogin
