// expect: threw; says: SyntaxError
return 1;
