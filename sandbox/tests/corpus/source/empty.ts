// expect: threw; says: default export

